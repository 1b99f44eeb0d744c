from mmkd3d.utils.discovery import import_modules

import_modules(__name__, __path__)
