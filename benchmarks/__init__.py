"""Speed and memory of mmkd3d, compared with naive code and the published code."""
