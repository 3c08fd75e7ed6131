"""What is decided about plans, what comes of it, and how both are taken along: journal, follow-up, exports, sheet."""
