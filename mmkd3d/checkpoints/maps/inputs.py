"""Input specs of the published files, from the data loading of their code."""

from ..input_spec import InputSpec

# ShapeNet-55: so many points of 8,192, then the unit sphere.
SHAPENET_1K = InputSpec(1024, 3, 'unit_sphere', None, 'y')
SHAPENET_2K = SHAPENET_1K._replace(points=2048)
# ShapeNetPart, with replacement.
SHAPENETPART = SHAPENET_2K
# S3DIS: columns of 1 m x 1 m, z from the floor (ACT, section 9.2).
S3DIS = InputSpec(2048, 3, 'none', 'm', 'z')
# ModelNet40, in the unit sphere, or ScanObjectNN, as stored.
OBJECTS = InputSpec(None, 3, None, None, 'y')
# Rooms in metres: 40,000 points in ScanNet, 20,000 in SUN RGB-D (detection,
# section 1).
SCENES = InputSpec(None, 3, 'none', 'm', 'z')
