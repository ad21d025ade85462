//! `subnets cost`: what a place costs, beside how contested it is.

use super::{Folder, Out, document, dollars, followed::Followed, note_ignored, sentence, shown, state};
use crate::{
    failure::{Failure, Kind},
    output::{
        Table, note, plot,
        sheet::{Kind as Column, Sheet},
    },
};
use chain::tracker::{
    analysis::{Counting, PriceSample},
    cost::{self, Cost as Place},
    days, tao,
};
use clap::Args as ClapArgs;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Prices at which the existing tracker calls a place easy, and still affordable, in TAO.
const LOW_TAO: f64 = 0.005;
const MIDDLE_TAO: f64 = 0.02;

/// What a place costs.
#[derive(Debug, ClapArgs)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  chutes-miner subnets cost --dir snapshots --netuid 1,64\n  \
        chutes-miner subnets cost --dir snapshots --tao-usd 400 -o json\n  \
        chutes-miner subnets cost --endpoint finney -o csv\n\n\
        CSV and Parquet have the columns of the existing tracker, in TAO, and with\n\
        --tao-usd one more. --plot draws the price beside how contested a place is, or\n\
        with --history the price over time."
)]
pub(super) struct Cost {
    #[command(flatten)]
    folder: Folder,
    /// These subnets; all if none is given
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    netuid: Vec<u16>,
    /// What a registration on one subnet cost, snapshot by snapshot
    #[arg(long, requires = "netuid")]
    history: bool,
    /// The history that `subnets follow` keeps, and no snapshots
    #[arg(long, value_name = "URL", requires = "history", conflicts_with_all = ["dir", "endpoint"])]
    database_url: Option<String>,
    /// Draw it into a file (.svg or .html)
    #[arg(long, value_name = "FILE", value_parser = plot::path)]
    plot: Option<PathBuf>,
    /// US dollars for a TAO
    #[arg(long, env = "TAO_USD", value_name = "USD", value_parser = dollars, allow_negative_numbers = true)]
    tao_usd: Option<f64>,
    #[command(flatten)]
    out: Out,
}

pub(super) async fn run(args: Cost) -> Result<(), Failure> {
    let of_one = || match args.netuid[..] {
        [netuid] => Ok(netuid),
        _ => Err(Failure::new(Kind::Usage, "--history is of one subnet: --netuid N")),
    };
    if let Some(url) = &args.database_url {
        let netuid = of_one()?;
        let (samples, last) = Followed::open(url, &args.folder.network).await?.prices(netuid).await?;
        return history(&args, netuid, &samples, last);
    }
    let analyzer = args.folder.watch(Counting::Observed, &args.netuid).await?;
    note_ignored(&analyzer);
    if args.history {
        let netuid = of_one()?;
        return history(&args, netuid, analyzer.prices(netuid), state(&analyzer, netuid)?.block);
    }
    let wanted = |netuid: &u16| args.netuid.is_empty() || args.netuid.contains(netuid);
    let place = |netuid: u16, state| Place { registrations_per_day: analyzer.registrations_per_day(netuid), ..cost::of(netuid, state) };
    let mut places: Vec<Place> =
        analyzer.states().iter().filter(|(netuid, _)| wanted(netuid)).map(|(netuid, state)| place(*netuid, state)).collect();
    if places.is_empty() {
        return Err(Failure::new(Kind::NotFound, "no snapshot shows these subnets"));
    }
    for netuid in args.netuid.iter().filter(|netuid| !analyzer.states().contains_key(netuid)) {
        note(&format!("no snapshot shows subnet {netuid}"));
    }
    if places.iter().all(|place| place.burn_cost_tao.is_none()) {
        return Err(no_prices());
    }
    places.sort_by(|a, b| b.burn_cost_tao.unwrap_or(-1.0).total_cmp(&a.burn_cost_tao.unwrap_or(-1.0)).then(a.netuid.cmp(&b.netuid)));
    let contested: BTreeMap<u16, f64> = analyzer.analysis().subnets.iter().map(|one| (one.netuid, one.replaced_percent_per_day)).collect();
    if let Some(path) = &args.plot {
        draw(path, &places, &contested)?;
    }
    let usd = |place: &Place| place.burn_cost_tao.zip(args.tao_usd).map(|(tao, price)| tao * price);
    args.out.give(
        |width| {
            let mut table = Table::new(&["Netuid", "TAO", "USD", "UIDs", "Full", "Immune h", "Reg/d", "%/d", "PoW"], width);
            for place in &places {
                table.row([
                    place.netuid.to_string(),
                    shown(place.burn_cost_tao, 6),
                    shown(usd(place), 2),
                    format!("{}/{}", place.current_neurons, place.max_neurons.map_or_else(|| "?".to_owned(), |max| max.to_string())),
                    place.is_full.map_or("-", |full| if full { "yes" } else { "no" }).to_owned(),
                    shown(place.immunity_hours, 1),
                    shown(place.registrations_per_day, 1),
                    shown(contested.get(&place.netuid).copied(), 2),
                    // The greatest number of 64 bits is how the chain says that nobody registers by proof of work.
                    place.difficulty.map_or_else(|| "-".to_owned(), |d| if d == u64::MAX { "off".to_owned() } else { d.to_string() }),
                ]);
            }
            let mut text = table.render();
            if let Some(words) = summary(&places) {
                let _ = write!(text, "\n{}", sentence(&words, width));
            }
            text
        },
        || {
            let rows = places.iter().map(|place| {
                let mut row = document(place);
                row["burn_cost_usd"] = json!(usd(place));
                row["replaced_percent_per_day"] = json!(contested.get(&place.netuid));
                row
            });
            json!({ "tao_usd": args.tao_usd, "subnets": rows.collect::<Vec<_>>() })
        },
        || sheet(&places, args.tao_usd),
    )
}

/// The dearest and the cheapest, how far they lie apart, and how many there are at which price. The places are in order, the dearest first.
fn summary(places: &[Place]) -> Option<String> {
    // Nobody registers on the root at a price.
    let known: Vec<(u16, f64)> =
        places.iter().filter(|place| place.netuid != 0).filter_map(|place| Some((place.netuid, place.burn_cost_tao?))).collect();
    let ((most, dearest), (least, cheapest)) = (known.first()?, known.last()?);
    let mean = known.iter().map(|(_, tao)| tao).sum::<f64>() / known.len() as f64;
    let below = |limit: f64| known.iter().filter(|(_, tao)| *tao < limit).count();
    let (low, middle) = (below(LOW_TAO), below(MIDDLE_TAO));
    let ratio = if *cheapest > 0.0 { format!(", {:.0} times the cheapest", dearest / cheapest) } else { String::new() };
    Some(format!(
        "Dearest: subnet {most} at {dearest:.6} TAO{ratio}; cheapest: subnet {least} at {cheapest:.6} TAO; mean {mean:.6} TAO. \
         {low} cost less than {LOW_TAO} TAO, {} less than {MIDDLE_TAO}, {} more.",
        middle - low,
        known.len() - middle
    ))
}

/// Price and competition of each subnet of which both are known.
fn draw(path: &Path, places: &[Place], contested: &BTreeMap<u16, f64>) -> Result<(), Failure> {
    let point = |place: &Place| Some((place.netuid.to_string(), *contested.get(&place.netuid)?, place.burn_cost_tao?));
    let points: Vec<_> = places.iter().filter_map(point).collect();
    if points.is_empty() {
        note("not enough data for a plot: how contested a place is, is told by two snapshots");
        return Ok(());
    }
    let title = "Competition and price of a registration";
    plot::write(path, title, &plot::scatter(title, "percent of the UIDs replaced a day", "TAO", &points)?)
}

fn no_prices() -> Failure {
    Failure::new(Kind::NotFound, "not enough data: the snapshots have no prices")
        .advise("a snapshot of ours has them; the existing tracker's have UIDs and hotkeys only")
}

fn history(args: &Cost, netuid: u16, samples: &[PriceSample], last: u64) -> Result<(), Failure> {
    let (Some(lowest), Some(highest)) = (samples.iter().min_by_key(|one| one.burn_rao), samples.iter().max_by_key(|one| one.burn_rao))
    else {
        return Err(no_prices());
    };
    let ago = |one: &PriceSample| days(last.saturating_sub(one.block));
    if let Some(path) = &args.plot {
        let first = samples.first().map_or(last, |one| one.block);
        let point = |block: u64, rao: u64| [days(block.saturating_sub(first)), tao(rao), tao(rao), tao(rao)];
        let mut points: Vec<_> = samples.iter().map(|one| point(one.block, one.burn_rao)).collect();
        points.extend(samples.last().map(|one| point(last, one.burn_rao)));
        let title = format!("Price of a registration on subnet {netuid}");
        plot::write(path, &title, &plot::curve(&plot::Curve { title: &title, x: "days", y: "TAO", points: &points, steps: true })?)?;
    }
    args.out.give(
        |width| {
            let mut table = Table::new(&["Block", "Days ago", "TAO"], width);
            for one in samples {
                table.row([one.block.to_string(), format!("{:.2}", ago(one)), format!("{:.6}", tao(one.burn_rao))]);
            }
            let words = format!(
                "Subnet {netuid}: lowest {:.6} TAO {:.1} days ago, highest {:.6} TAO {:.1} days ago, as far as was seen.",
                tao(lowest.burn_rao),
                ago(lowest),
                tao(highest.burn_rao),
                ago(highest)
            );
            format!("{}\n{}", table.render(), sentence(&words, width))
        },
        || json!({ "netuid": netuid, "last_block": last, "prices": document(&samples) }),
        || {
            let mut sheet = Sheet::new(&[("netuid", Column::Integer), ("block", Column::Integer), ("burn_rao", Column::Integer)]);
            samples.iter().for_each(|one| sheet.row([netuid.into(), one.block.into(), one.burn_rao.into()]));
            sheet
        },
    )
}

/// The columns of the existing tracker; with a price of TAO one more at the end.
fn sheet(places: &[Place], tao_usd: Option<f64>) -> Sheet {
    let columns = [
        ("netuid", Column::Integer),
        ("burn_cost_tao", Column::Number),
        ("current_neurons", Column::Integer),
        ("max_neurons", Column::Integer),
        ("occupancy_pct", Column::Number),
        ("is_full", Column::Flag),
        ("difficulty", Column::Text),
        ("burn_cost_usd", Column::Number),
    ];
    let mut sheet = Sheet::new(if tao_usd.is_some() { &columns } else { &columns[..7] });
    for place in places {
        let cells = [
            place.netuid.into(),
            place.burn_cost_tao.into(),
            place.current_neurons.into(),
            place.max_neurons.into(),
            place.occupancy_pct.into(),
            place.is_full.into(),
            // Where it is off it is the largest number of 64 bits, which no column of numbers holds.
            place.difficulty.map(|difficulty| difficulty.to_string()).as_deref().into(),
        ];
        match tao_usd {
            None => sheet.row(cells),
            Some(price) => {
                let [netuid, tao, now, max, part, full, difficulty] = cells;
                sheet.row([netuid, tao, now, max, part, full, difficulty, place.burn_cost_tao.map(|tao| tao * price).into()]);
            }
        }
    }
    sheet
}
