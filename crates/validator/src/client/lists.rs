//! Inventory: the line streams and the listings.

use std::time::Duration;

use jiff::Timestamp;
use protocol::dto::{ActiveInstance, ChuteRow, ImageRow, InstanceRow, InventoryRow, JobRow, MinerServer, NodeRow, UtilizationRow};
use protocol::ids::{ChuteId, ChuteVersion};
use protocol::sign::Purpose;
use reqwest::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use reqwest::{Response, Version};
use serde_json::Value;

use super::ValidatorClient;
use super::http::{Call, Sign};
use crate::ValidatorError;
use crate::error::says_absent;
use crate::listing::{ListRow, Listing, ListingParser, StreamEnd};

/// Whole time of one stream; a list that takes longer is cut.
const STREAM_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest silence within a stream.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);

impl ValidatorClient {
    /// All chutes of the network. An error means that no list came at all; see [`Listing`] for how far one that came
    /// can be trusted.
    pub async fn chutes(&self) -> Result<Listing<ChuteRow>, ValidatorError> {
        self.stream("list chutes", "chutes").await
    }

    /// All images of the network.
    pub async fn images(&self) -> Result<Listing<ImageRow>, ValidatorError> {
        self.stream("list images", "images").await
    }

    /// This miner's GPUs.
    pub async fn nodes(&self) -> Result<Listing<NodeRow>, ValidatorError> {
        self.stream("list GPUs", "nodes").await
    }

    /// This miner's instances.
    pub async fn instances(&self) -> Result<Listing<InstanceRow>, ValidatorError> {
        self.stream("list instances", "instances").await
    }

    /// This miner's jobs that have no instance yet.
    pub async fn jobs(&self) -> Result<Listing<JobRow>, ValidatorError> {
        self.stream("list jobs", "jobs").await
    }

    /// This miner's GPUs that hold an instance. Idle ones are not listed.
    pub async fn inventory(&self) -> Result<Listing<InventoryRow>, ValidatorError> {
        self.array(Call::get("inventory", &["miner", "inventory"], Purpose::Miner), None).await
    }

    /// This miner's servers (2026).
    pub async fn servers(&self) -> Result<Listing<MinerServer>, ValidatorError> {
        self.array(Call::get("list servers", &["miner", "servers", ""], Purpose::Miner), Some("servers")).await
    }

    /// Everybody's active instances (2026).
    pub async fn active_instances(&self) -> Result<Listing<ActiveInstance>, ValidatorError> {
        let call = Call::get("list active instances", &["miner", "active_instances", ""], Purpose::Miner);
        self.array(call, None).await
    }

    /// How many more copies of each chute the validator wants. Public, hence unsigned; a chute that has no row yet is new.
    pub async fn utilization(&self) -> Result<Listing<UtilizationRow>, ValidatorError> {
        let call = Call::get("chute utilization", &["chutes", "utilization"], Purpose::Miner);
        self.array(Call { sign: Sign::Not, ..call }, None).await
    }

    /// One version of a chute; `None` only if the validator itself says that it does not exist.
    pub async fn chute(&self, chute: &ChuteId, version: &ChuteVersion) -> Result<Option<ChuteRow>, ValidatorError> {
        let path = ["miner", "chutes", chute.as_str(), version.as_str()];
        match self.http.json(Call::get("read a chute", &path, Purpose::Miner), 200).await {
            Ok(row) => Ok(Some(row)),
            Err(error) if says_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn stream<T: ListRow>(&self, name: &'static str, list: &str) -> Result<Listing<T>, ValidatorError> {
        let as_of = Timestamp::now();
        let path = ["miner", list, ""];
        let mut call = Call::get(name, &path, Purpose::Miner);
        // Only the instances know this wish; the others ignore it.
        call.query = &[("explicit_null", "True")];
        call.timeout = STREAM_TIMEOUT;
        let mut response = self.http.send(call, 200).await?;
        let mut parser = ListingParser::new(as_of);
        let end = loop {
            let Ok(chunk) = tokio::time::timeout(SILENCE_TIMEOUT, response.chunk()).await else {
                break StreamEnd::Cut(format!("{} s of silence", SILENCE_TIMEOUT.as_secs()));
            };
            match chunk {
                Ok(Some(bytes)) => {
                    if !parser.feed(&bytes) {
                        break StreamEnd::Cut("not read to its end".to_owned());
                    }
                }
                Ok(None) if ends_by_closing(&response) => {
                    break StreamEnd::Cut("the answer has no end of its own".to_owned());
                }
                Ok(None) => break StreamEnd::Clean,
                Err(error) => break StreamEnd::Cut(ValidatorError::transport(name, error).to_string()),
            }
        };
        let listing = parser.finish(end);
        tracing::debug!(
            list,
            rows = listing.items.len(),
            bad = listing.bad_rows,
            completeness = ?listing.completeness,
            "list read"
        );
        Ok(listing)
    }

    async fn array<T: ListRow>(&self, call: Call<'_>, field: Option<&str>) -> Result<Listing<T>, ValidatorError> {
        let as_of = Timestamp::now();
        let name = call.name;
        let document: Value = self.http.json(call, 200).await?;
        let rows = match (document, field) {
            (Value::Array(rows), _) => Some(rows),
            (Value::Object(mut object), Some(field)) => match object.remove(field) {
                Some(Value::Array(rows)) => Some(rows),
                _ => None,
            },
            _ => None,
        };
        let rows = rows.ok_or_else(|| ValidatorError::Nonsense { call: name, reason: "it is no list".to_owned() })?;
        Ok(Listing::from_array(rows, as_of))
    }
}

/// Whether only the closing of the connection ends this body: then a broken connection looks like the end of the list.
fn ends_by_closing(response: &Response) -> bool {
    let headers = response.headers();
    response.version() <= Version::HTTP_11 && !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING)
}
