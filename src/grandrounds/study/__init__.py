"""The study: what is asked for, its plan, its trials on the disk, and how they are run and resumed."""
