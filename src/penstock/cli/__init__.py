"""`penstock`: the command line over /api/v1. Tables for people, `--json` for programs, errors that say what to do."""
