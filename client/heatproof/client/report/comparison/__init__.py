"""What a comparison of models shows, as text, as Markdown and as one HTML page."""
