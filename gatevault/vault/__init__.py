"""What is kept, and how it is sealed: keys, templates, registry, gallery, ledger."""
