"""How fast mmkd3d is, against the straightforward and the published forms."""
