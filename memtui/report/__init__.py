"""Files other programs read: report.json."""
