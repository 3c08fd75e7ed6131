"""Reports: tables, figures, templates."""
