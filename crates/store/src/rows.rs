//! Between our types and Postgres' own: timestamps and identifiers.

use std::fmt::Display;

use jiff::Timestamp;
use protocol::ids::{DeploymentId, GpuUuid};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Row as _, Type};
use uuid::Uuid;

use crate::Error;

/// 2000-01-01T00:00:00Z, from which Postgres counts, in microseconds of the Unix epoch.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// A `timestamptz`: whole microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At(pub(crate) Timestamp);

impl Type<Postgres> for At {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for At {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for At {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode_by_ref(&(self.0.as_microsecond() - POSTGRES_EPOCH_US), buffer)
    }
}

impl<'row> Decode<'row, Postgres> for At {
    fn decode(value: PgValueRef<'row>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("timestamps are read from prepared statements only".into());
        }
        let since_2000: i64 = Decode::<Postgres>::decode(value)?;
        let since_1970 = since_2000.checked_add(POSTGRES_EPOCH_US).ok_or("a timestamp beyond all time")?;
        Ok(Self(Timestamp::from_microsecond(since_1970)?))
    }
}

/// Columns read into our types; what does not fit is [`Error::Corrupt`] in the end.
pub(crate) trait Columns {
    fn id<T>(&self, column: &str) -> sqlx::Result<T>
    where
        T: TryFrom<String>,
        T::Error: Display;
    fn maybe_id<T>(&self, column: &str) -> sqlx::Result<Option<T>>
    where
        T: TryFrom<String>,
        T::Error: Display;
    fn deployment(&self, column: &str) -> sqlx::Result<DeploymentId>;
    fn gpus(&self, column: &str) -> sqlx::Result<Vec<GpuUuid>>;
    fn at(&self, column: &str) -> sqlx::Result<Timestamp>;
    fn maybe_at(&self, column: &str) -> sqlx::Result<Option<Timestamp>>;
}

impl Columns for PgRow {
    fn id<T>(&self, column: &str) -> sqlx::Result<T>
    where
        T: TryFrom<String>,
        T::Error: Display,
    {
        convert(self.try_get(column)?, column)
    }

    fn maybe_id<T>(&self, column: &str) -> sqlx::Result<Option<T>>
    where
        T: TryFrom<String>,
        T::Error: Display,
    {
        self.try_get::<Option<String>, _>(column)?.map(|text| convert(text, column)).transpose()
    }

    fn deployment(&self, column: &str) -> sqlx::Result<DeploymentId> {
        convert(self.try_get::<Uuid, _>(column)?.to_string(), column)
    }

    fn gpus(&self, column: &str) -> sqlx::Result<Vec<GpuUuid>> {
        let texts: Vec<String> = self.try_get(column)?;
        texts.into_iter().map(|text| convert(text, column)).collect()
    }

    fn at(&self, column: &str) -> sqlx::Result<Timestamp> {
        Ok(self.try_get::<At, _>(column)?.0)
    }

    fn maybe_at(&self, column: &str) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.try_get::<Option<At>, _>(column)?.map(|at| at.0))
    }
}

fn convert<T>(text: String, column: &str) -> sqlx::Result<T>
where
    T: TryFrom<String>,
    T::Error: Display,
{
    T::try_from(text).map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.to_string().into() })
}

/// A deployment's id as its column holds it.
pub(crate) fn uuid(id: &DeploymentId) -> Result<Uuid, Error> {
    id.as_str().parse().map_err(|_| Error::Invalid(format!("deployment id `{id}` is no UUID")))
}

/// GPUs as a text array, in the one order in which everybody locks them.
pub(crate) fn ordered(gpus: &[GpuUuid]) -> Vec<String> {
    let mut texts: Vec<String> = gpus.iter().map(ToString::to_string).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}
