# Features without training: histograms of distances, angles and heights. The floor for
# probes of students:
#   python tools/probe.py shape-distributions none --data shapes.npz --label fine --split is_test
default_scope = 'mmkd3d'
custom_imports = dict(imports=['mmkd3d'], allow_failed_imports=False)
model = dict(type='BasePretrainer', backbone=dict(type='ShapeDistributions'))
