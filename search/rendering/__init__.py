"""Results for people to read: tables and figures as Markdown, CSV, LaTeX and HTML."""
