//! What is signed along with a call: which chain, which runtime, until when, how manieth.

use frame_decode::extrinsics::{TransactionExtensions, TransactionExtensionsError};
use scale_encode::EncodeAsType as _;
use scale_info::PortableRegistry;

use super::Mortality;

/// What stands in the signed extensions of an extrinsic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signing {
    /// Hash of the chain's first block.
    pub genesis: [u8; 32],
    /// Version of the runtime.
    pub spec_version: u32,
    /// Version of its extrinsics.
    pub transaction_version: u32,
    /// How many extrinsics the signer sent before.
    pub nonce: u32,
    /// Until when it is valid; `None` for ever.
    pub mortality: Option<Mortality>,
    /// Rao for the block's author beyond the fee.
    pub tip_rao: u64,
}

/// The tip; this chain wraps Substrate's extension, so far under Substrate's name.
const TIPS: [&str; 2] = ["ChargeTransactionPayment", "ChargeTransactionPaymentWrapper"];

/// Extensions are known by name. One that holds no bytes needs no knowing, and of one that may hold nothing the encoder makes that; one
/// that holds some and is unknown is an error.
impl TransactionExtensions<PortableRegistry> for Signing {
    fn contains_extension(&self, name: &str) -> bool {
        let others = ["CheckSpecVersion", "CheckTxVersion", "CheckGenesis", "CheckMortality", "CheckNonce", "CheckMetadataHash"];
        others.contains(&name) || TIPS.contains(&name)
    }

    fn encode_extension_value_to(
        &self,
        name: &str,
        id: u32,
        types: &PortableRegistry,
        out: &mut Vec<u8>,
    ) -> Result<(), TransactionExtensionsError> {
        let result = match name {
            "CheckMortality" => {
                match self.mortality {
                    Some(mortality) => out.extend(mortality.encode()),
                    None => out.push(0),
                }
                Ok(())
            }
            "CheckNonce" => self.nonce.encode_as_type_to(id, types, out),
            tip if TIPS.contains(&tip) => self.tip_rao.encode_as_type_to(id, types, out),
            // Not checked: the first of two cases.
            "CheckMetadataHash" => {
                out.push(0);
                Ok(())
            }
            other => return Err(TransactionExtensionsError::NotFound(other.to_owned())),
        };
        result.map_err(|error| other(name, error))
    }

    fn encode_extension_implicit_to(
        &self,
        name: &str,
        id: u32,
        types: &PortableRegistry,
        out: &mut Vec<u8>,
    ) -> Result<(), TransactionExtensionsError> {
        let result = match name {
            "CheckSpecVersion" => self.spec_version.encode_as_type_to(id, types, out),
            "CheckTxVersion" => self.transaction_version.encode_as_type_to(id, types, out),
            "CheckGenesis" => self.genesis.encode_as_type_to(id, types, out),
            // An immortal extrinsic is one born with the chain.
            "CheckMortality" => self.mortality.map_or(self.genesis, |mortality| mortality.birth().hash).encode_as_type_to(id, types, out),
            "CheckMetadataHash" => None::<[u8; 32]>.encode_as_type_to(id, types, out),
            other => return Err(TransactionExtensionsError::NotFound(other.to_owned())),
        };
        result.map_err(|error| other(name, error))
    }
}

fn other(name: &str, error: scale_encode::Error) -> TransactionExtensionsError {
    TransactionExtensionsError::Other { extension_name: name.to_owned(), error: Box::new(error) }
}
