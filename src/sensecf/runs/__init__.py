"""Everything that writes a folder."""
