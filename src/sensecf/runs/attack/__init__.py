"""`sensecf attack`: who was learned from, told from what was made."""

from sensecf.runs.attack.run import Attack, AttackSpec, attack

__all__ = ["Attack", "AttackSpec", "attack"]
