from mmkd3d.utils.discovery import import_modules

import_modules(__name__, __path__, skip=('indoor_det3d',))  # needs mmdetection3d
