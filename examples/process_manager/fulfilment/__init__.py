"""An order from the cart to the parcel: a process that others answer, and that gives back."""
