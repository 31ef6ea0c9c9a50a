"""Reports for people and machines: a table, JUnit XML, Markdown and one HTML page."""
