"""Proposals to answers: propose, verify, polish, select, and why there is none."""
