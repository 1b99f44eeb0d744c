"""Many runs, one table: what was run, with what, and what came out."""
