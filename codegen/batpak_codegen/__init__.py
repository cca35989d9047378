"""The schema compiler behind `batpak gen`. It writes the name `batpak`; it never imports it."""
