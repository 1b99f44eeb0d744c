"""Rooms: furniture placed along walls, scans and frames of it."""
