"""`sensecf programme`: a few programmes for everybody in a run, whom they reach, and what that costs."""

from sensecf.runs.programme.run import ProgrammeSpec, programme

__all__ = ["ProgrammeSpec", "programme"]
