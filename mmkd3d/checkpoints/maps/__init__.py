"""The published files of each family, by the name of their source."""

from . import act, downstream, i2p_mae, point_mae, recon, recon_pretrain, three_detr

SOURCES = {
    **point_mae.MAPS,
    **act.MAPS,
    **downstream.MAPS,
    **recon.MAPS,
    **recon_pretrain.MAPS,
    **i2p_mae.MAPS,
    **three_detr.MAPS,
}
