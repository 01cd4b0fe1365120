"""The curation room: raw record to approved pair to snapshot, and the doors (command line, REST, pages).

Here live importing, privacy, near-duplicates, review, snapshots, jobs, users, and the only code that opens the store.
Not here: training (`train`) and evaluation (`evals`), which know of this room only `curate.contract`, `curate.tasks`
and `curate.errors`. This package exports nothing by itself: name the module you mean.
"""
