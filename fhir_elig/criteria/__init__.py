"""The kinds of criterion, one file per thing that they read; `node.KINDS` lists them."""
