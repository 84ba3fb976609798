"""Many patients: a run over all charts of a hospital, with a checkpoint, and what is made of its results."""
