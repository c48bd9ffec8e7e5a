"""A conversion webhook for SMI's kinds, as meshes have that serve every version."""
