"""Worlds: simulated people whose days follow explicit equations, so that a plan can be carried out and judged.

The only place where an action's true effect is known. `cohort` is the simulated cohort, `presets` the laws for it that
have a name; `graphs` draws worlds at random.
"""
