"""The question and its judge: what a counterfactual is, and whether one is good."""
