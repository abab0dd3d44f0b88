"""Every pair of a manifest, checked: the equivalence check of a repository."""
