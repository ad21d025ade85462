//! What the simulated validator offers.

/// Name, GPUs, instances wanted. The versions are those of a library that needs no source code from the miner.
pub(super) const CHUTES: &[(&str, u32, u32)] = &[("small-llm", 1, 2), ("image-maker", 2, 1), ("big-llm", 4, 1)];

/// Image of a chute, without a registry.
pub(super) fn image(chute: &str) -> String {
    format!("{chute}:1")
}

/// The owner of all chutes.
pub(super) const OWNER: &str = "demo";

/// The scenario file.
pub(super) fn yaml(miner: &str, chutes: bool) -> String {
    let mut text = format!("miners: [{miner}]\n");
    if !chutes {
        return text;
    }
    text.push_str("chutes:\n");
    for (name, gpus, target) in CHUTES {
        text.push_str(&format!(
            "  - name: {name}\n    username: {OWNER}\n    image: {image}\n    chutes_version: 0.4.2\n    target: {target}\n    \
             selector: {{gpu_count: {gpus}, min_vram_gb_per_gpu: 80, include: [h100_sxm]}}\n",
            image = image(name)
        ));
    }
    text
}
