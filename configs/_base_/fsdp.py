# Split weights, gradients and optimizer state over the processes of a run, for models that
# do not fit one GPU. Start it with tools/dist_train.sh.
runner_type = 'FlexibleRunner'
strategy = dict(type='mmkd3d.FSDPStrategy')
