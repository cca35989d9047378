"""Where states of projections are kept between two calls. Nothing here is the truth."""
