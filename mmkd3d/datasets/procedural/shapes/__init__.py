"""Single shapes: builders by theme, their catalogue, scans, symmetries."""
