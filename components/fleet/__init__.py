"""The parts of the Fleet page: packs as rows and spheres, one pack closely, commands."""
