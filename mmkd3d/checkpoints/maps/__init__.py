"""The published files of each family, by the name of their source."""
from . import act, downstream, point_mae, recon, recon_pretrain

SOURCES = {
    **point_mae.MAPS,
    **act.MAPS,
    **downstream.MAPS,
    **recon.MAPS,
    **recon_pretrain.MAPS
}
