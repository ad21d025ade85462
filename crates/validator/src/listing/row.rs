//! Which field of a row is its id.

use protocol::dto::{ActiveInstance, ChuteRow, ImageRow, InstanceRow, InventoryRow, JobRow, MinerServer, NodeRow, UtilizationRow};
use serde::de::DeserializeOwned;

/// A row of a list, with the field that identifies it.
pub trait ListRow: DeserializeOwned {
    /// Name of that field on the wire.
    const ID_FIELD: &'static str;

    /// Its value.
    fn id(&self) -> &str;
}

macro_rules! rows {
    ($($row:ty: $field:ident,)*) => {
        $(impl ListRow for $row {
            const ID_FIELD: &'static str = stringify!($field);
            fn id(&self) -> &str {
                self.$field.as_str()
            }
        })*
    };
}

rows! {
    ActiveInstance: instance_id,
    ChuteRow: chute_id,
    ImageRow: image_id,
    InstanceRow: instance_id,
    InventoryRow: gpu_id,
    JobRow: job_id,
    MinerServer: server_id,
    NodeRow: uuid,
    UtilizationRow: chute_id,
}
