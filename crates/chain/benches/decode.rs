//! Decoding what the tracker reads most: the neurons of a subnet, and all subnets.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use chain::read::{Neuron, Runtime, SelectiveMetagraph, SubnetInfo};
use chain_sim::{METADATA_V15, Recording, unpack};
use criterion::{Criterion, criterion_group, criterion_main};

fn answer(scenario: &str, call: &str) -> Vec<u8> {
    let exchanges = Recording::shipped().unwrap().exchanges(scenario).unwrap();
    let (_, _, response) = exchanges.iter().find(|(_, params, _)| params[0].as_str().is_some_and(|name| name.contains(call))).unwrap();
    hex::decode(response["result"].as_str().unwrap().trim_start_matches("0x")).unwrap()
}

fn decode(criterion: &mut Criterion) {
    let metadata = unpack(METADATA_V15).unwrap();
    let runtime = Runtime::new(343, &metadata).unwrap();
    let neurons = answer("metagraph", "get_neurons_lite");
    criterion.bench_function("1,024 neurons, at most 30 ms", |bencher| {
        bencher.iter(|| {
            let neurons: Vec<Neuron> = runtime.call_answer("NeuronInfoRuntimeApi", "get_neurons_lite", black_box(&neurons)).unwrap();
            assert_eq!(neurons.len(), 1024);
            neurons
        });
    });
    let metagraph = answer("metagraph", "get_selective_mechagraph");
    criterion.bench_function("the metagraph of 1,024 neurons", |bencher| {
        bencher.iter(|| {
            let metagraph: Option<SelectiveMetagraph> =
                runtime.call_answer("SubnetInfoRuntimeApi", "get_selective_mechagraph", black_box(&metagraph)).unwrap();
            metagraph.unwrap()
        });
    });
    let subnets = answer("get_all_subnets_info", "get_subnets_info_v2");
    criterion.bench_function("all 129 subnets' info, at most 20 ms", |bencher| {
        bencher.iter(|| {
            let subnets: Vec<Option<SubnetInfo>> =
                runtime.call_answer("SubnetInfoRuntimeApi", "get_subnets_info_v2", black_box(&subnets)).unwrap();
            assert_eq!(subnets.len(), 129);
            subnets
        });
    });
    criterion.bench_function("metadata", |bencher| bencher.iter(|| Runtime::new(343, black_box(&metadata)).unwrap()));
}

criterion_group!(benches, decode);
criterion_main!(benches);
