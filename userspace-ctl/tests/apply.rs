// SPDX-License-Identifier: GPL-2.0-only

//! Applying files: what is changed, told and undone. The kernel is a model of the exporter's rules.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use clap::Parser;
use netflowctl::{
    apply::{
        plan,
        reports, //
    },
    cli::Cli,
    client::Client,
    commands,
    config_file::{
        Destination,
        Wanted, //
    },
    error::Error,
    protocol::Protocol, //
};
use proptest::{
    collection::{
        btree_map,
        vec, //
    },
    prelude::*, //
};
use std::{
    env,
    fs,
    path::PathBuf,
    process, //
};
use support::model::{
    Model,
    State, //
};

/// A file in a folder for this test, which goes with it.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let name = std::thread::current().name().unwrap().to_owned();
        let path = env::temp_dir().join(format!("netflowctl-{}-{name}", process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("netflow.toml"), text).unwrap();
        Self(path)
    }

    fn path(&self) -> String {
        self.0.join("netflow.toml").display().to_string()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a command prints.
fn run(kernel: &Model, arguments: &[&str]) -> Result<String, Error> {
    let arguments = [&["netflowctl"], arguments].concat();
    let cli = Cli::try_parse_from(arguments).unwrap();
    let mut client = Client::new(kernel.clone()).unwrap();
    let mut out = Vec::new();
    let result = commands::execute(&mut client, &cli.command, &cli.options, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(result.is_ok() || text.is_empty(), "{text}");
    result.map(|()| text)
}

fn apply(kernel: &Model, text: &str) -> Result<String, Error> {
    run(kernel, &["apply", &File::new(text).path()])
}

/// All settings have other values than the defaults, of which the model knows nothing.
fn config() -> std::collections::BTreeMap<u16, Vec<u8>> {
    let u32 = |value: u32| value.to_ne_bytes().to_vec();
    [
        (1, u32(65536)),
        (2, u32(1800)),
        (3, u32(15)),
        (4, u32(0)),
        (5, u32(1)),
        (6, u32(0)),
        (7, vec![0]),
        (8, vec![0]),
        (9, vec![0]),
        (10, u32(1500)),
    ]
    .into()
}

fn state() -> State {
    State {
        enabled: true,
        config: config(),
        collectors: [
            ((vec![192, 0, 2, 1], 2055), [].into()),
            (
                (vec![192, 0, 2, 2], 9995),
                [(6, vec![198, 51, 100, 1]), (7, b"mgmt\0".to_vec())].into(),
            ),
        ]
        .into(),
        ifaces: [(b"eth0\0".to_vec(), 7), (b"eth1\0".to_vec(), 8)].into(),
    }
}

/// The state that [`OTHER`] leads to from [`state`].
fn other_state() -> State {
    let mut state = state();
    state.config.insert(1, 4096u32.to_ne_bytes().to_vec());
    state.config.insert(4, 1u32.to_ne_bytes().to_vec());
    state.config.insert(5, 0b1001u32.to_ne_bytes().to_vec());
    state.config.insert(7, vec![1]);
    state.collectors = [
        ((vec![192, 0, 2, 2], 9995), [(7, b"lo\0".to_vec())].into()),
        (
            (vec![192, 0, 2, 3], 4739),
            [(9, 2u32.to_ne_bytes().to_vec())].into(),
        ),
    ]
    .into();
    state.ifaces = [(b"eth0\0".to_vec(), 70_000), (b"ppp0\0".to_vec(), 9)].into();
    state
}

const OTHER: &str = r#"
enabled = true
[settings]
max-flows = 4096
active-timeout = 1800
expiry = "strict"
observe = ["prerouting", "output"]
count-own = true
[[collectors]]
address = "192.0.2.3"
protocol = "ipfix"
[[collectors]]
address = "192.0.2.2"
port = 9995
device = "lo"
[interfaces]
ppp0 = 9
eth0 = 70000
"#;

#[test]
fn a_namespace_becomes_what_a_file_says() {
    let kernel = Model::new(state());
    let told = apply(&kernel, OTHER).unwrap();
    assert_eq!(kernel.state(), other_state());
    assert_eq!(
        told,
        "\
disable
set max-flows 4096 (was 65536)
set expiry strict (was lazy)
set observe prerouting,output (was prerouting)
set count-own on (was off)
iface del eth1 (was 8)
iface set eth0 --number 70000 (was 7)
iface set ppp0 --number 9
collector add 192.0.2.3:4739 --protocol ipfix
collector del 192.0.2.2:9995
collector add 192.0.2.2:9995 --device lo
collector del 192.0.2.1:2055
enable
"
    );
    // disable, set once, iface set, collector add and del, enable.
    assert_eq!(kernel.changes(), [6, 4, 5, 5, 5, 8, 9, 8, 9, 3]);
}

/// One at a link-local address, by this interface.
fn on_link(device: &str, port: u16) -> Destination {
    Destination {
        address: "fe80::1".parse().unwrap(),
        port,
        protocol: Protocol::DEFAULT,
        source: None,
        device: Some(device.to_owned()),
    }
}

#[test]
fn collectors_of_a_link_are_told_apart_by_the_interface() {
    let with = |collectors: &[Destination]| Wanted {
        collectors: collectors.to_vec(),
        ..Wanted::default()
    };
    let now = with(&[on_link("eth0", 2055), on_link("eth1", 2055)]);
    let wanted = with(&[on_link("eth1", 2055), on_link("eth2", 2055)]);
    let changes = plan(&now, &wanted);
    let told: Vec<_> = reports(&changes).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "collector add [fe80::1%eth2]:2055",
            "collector del [fe80::1%eth0]:2055",
        ]
    );
}

#[test]
fn programs_are_told_what_was_and_is() {
    let kernel = Model::new(state());
    let file = File::new(OTHER);
    let told = run(&kernel, &["apply", &file.path(), "--json"]).unwrap();
    let expected = [
        r#"[{"change":"enabled","old":true,"new":false}"#,
        r#"{"change":"setting","name":"max_flows","old":65536,"new":4096}"#,
        r#"{"change":"setting","name":"expiry","old":"lazy","new":"strict"}"#,
        r#"{"change":"setting","name":"observe","old":["prerouting"]"#,
        r#""new":["prerouting","output"]}"#,
        r#"{"change":"setting","name":"count_own","old":false,"new":true}"#,
        r#"{"change":"iface","ifname":"eth1","old":8,"new":null}"#,
        r#"{"change":"iface","ifname":"eth0","old":7,"new":70000}"#,
        r#"{"change":"iface","ifname":"ppp0","old":null,"new":9}"#,
        r#"{"change":"collector","old":null"#,
        r#""new":{"address":"192.0.2.3","port":4739"#,
        r#""protocol":"ipfix""#,
        r#""source":null,"device":null}}"#,
        r#"{"change":"collector","old":{"address":"192.0.2.2","port":9995"#,
        r#""protocol":"v5""#,
        r#""source":"198.51.100.1","device":"mgmt"},"new":null}"#,
        r#"{"change":"collector","old":null"#,
        r#""new":{"address":"192.0.2.2","port":9995"#,
        r#""protocol":"v5""#,
        r#""source":null,"device":"lo"}}"#,
        r#"{"change":"collector","old":{"address":"192.0.2.1","port":2055"#,
        r#""protocol":"v5""#,
        r#""source":null,"device":null},"new":null}"#,
        r#"{"change":"enabled","old":false,"new":true}]"#,
    ];
    assert_eq!(told, expected.join(",") + "\n");
    let told = run(&kernel, &["apply", &file.path(), "--json"]).unwrap();
    assert_eq!(told, "[]\n");
}

#[test]
fn a_check_changes_nothing_and_tells_the_same() {
    let kernel = Model::new(state());
    let file = File::new(OTHER);
    let path = file.path();
    for more in [&[][..], &["--json"]] {
        let arguments = [&["apply", &path], more].concat();
        let check = run(&kernel, &[&arguments[..], &["--check"]].concat()).unwrap();
        assert!(kernel.changes().is_empty());
        let other = Model::new(state());
        assert_eq!(run(&other, &arguments).unwrap(), check);
    }
}

#[test]
fn only_what_differs_is_changed() {
    let same = "enabled = true\n[settings]\nmax-flows = 65536\nexpiry = \"lazy\"\n\
                [[collectors]]\naddress = \"192.0.2.2\"\nport = 9995\nsource = \"198.51.100.1\"\n\
                device = \"mgmt\"\n[[collectors]]\naddress = \"192.0.2.1\"\n\
                [interfaces]\neth1 = 8\neth0 = 7\n";
    let kernel = Model::new(state());
    assert_eq!(apply(&kernel, same).unwrap(), "");
    assert!(kernel.changes().is_empty());
    // While enabled, what can change then.
    let other = same.replace("lazy", "strict");
    assert_eq!(
        apply(&kernel, &other).unwrap(),
        "set expiry strict (was lazy)\n"
    );
    assert_eq!(kernel.changes(), [4]);
    let disabled = other.replace("enabled = true", "enabled = false");
    assert_eq!(apply(&kernel, &disabled).unwrap(), "disable\n");
    let fewer = disabled.replace("65536", "4096");
    assert_eq!(
        apply(&kernel, &fewer).unwrap(),
        "set max-flows 4096 (was 65536)\n"
    );
    assert_eq!(kernel.changes(), [4, 6, 4]);
}

#[test]
fn what_changes_only_while_disabled_disables() {
    let mut before = state();
    before.config.insert(15, 3u32.to_ne_bytes().to_vec());
    let kernel = Model::new(before);
    let file = run(&kernel, &["save"]).unwrap();
    let file = file.replace("families = [\"ipv4\", \"ipv6\"]", "families = [\"ipv4\"]");
    assert_eq!(
        apply(&kernel, &file).unwrap(),
        "disable\nset families ipv4 (was ipv4,ipv6)\nenable\n"
    );
    assert_eq!(kernel.state().config[&15], 1u32.to_ne_bytes());

    let mut before = state();
    before.config.insert(16, 1u32.to_ne_bytes().to_vec());
    let kernel = Model::new(before);
    let file = run(&kernel, &["save"]).unwrap();
    let file = file.replace("sampling = 1\n", "sampling = 100\n");
    assert_eq!(
        apply(&kernel, &file).unwrap(),
        "disable\nset sampling 100 (was 1)\nenable\n"
    );
    assert_eq!(kernel.state().config[&16], 100u32.to_ne_bytes());
}

#[test]
fn what_is_refused_leaves_everything_as_it_was() {
    let file = File::new(OTHER);
    for refused in 0..10 {
        let kernel = Model::new(state());
        kernel.refuse([refused]);
        let error = run(&kernel, &["apply", &file.path()]).unwrap_err();
        assert_eq!(kernel.state(), state(), "{refused}");
        assert_eq!(error.exit_status(), 1);
        let command = [
            "disable",
            "set max-flows 4096 expiry strict observe prerouting,output count-own on",
            "iface del eth1",
            "iface set eth0 --number 70000",
            "iface set ppp0 --number 9",
            "collector add 192.0.2.3:4739 --protocol ipfix",
            "collector del 192.0.2.2:9995",
            "collector add 192.0.2.2:9995 --device lo",
            "collector del 192.0.2.1:2055",
            "enable",
        ][refused];
        let after = match refused {
            0 => "nothing was changed",
            _ => "what was changed before is undone",
        };
        assert_eq!(
            error.to_string(),
            format!("{command}: Cannot allocate memory; {after}")
        );
    }
}

#[test]
fn it_is_told_if_going_back_fails() {
    let kernel = Model::new(state());
    // "enable" with the new settings, and again with the old ones.
    kernel.refuse([9, 18]);
    let error = apply(&kernel, OTHER).unwrap_err();
    assert_eq!(
        error.to_string(),
        "enable: Cannot allocate memory; what was changed before could not be undone: \
         enable: Cannot allocate memory"
    );
    // All the rest is undone.
    let expected = State {
        enabled: false,
        ..state()
    };
    assert_eq!(kernel.state(), expected);
}

#[test]
fn sixteen_collectors_can_be_exchanged_for_others() {
    let mut state = state();
    let collectors = |net| (1..=16).map(move |n| ((vec![192, 0, net, n], 2055), [].into()));
    state.collectors = collectors(2).collect();
    let kernel = Model::new(state);
    let tables = (1..=16).map(|n| format!("[[collectors]]\naddress = \"192.0.3.{n}\"\n"));
    let text = "enabled = true\n".to_owned() + &tables.collect::<String>();
    apply(&kernel, &text).unwrap();
    assert_eq!(kernel.state().collectors, collectors(3).collect());
}

#[test]
fn mistakes_change_nothing() {
    let kernel = Model::new(state());
    let file = File::new("enabled = true\nx = 1\n[settings]\nexpiry = \"eager\"\n");
    let error = run(&kernel, &["apply", &file.path()]).unwrap_err();
    assert_eq!(error.exit_status(), 2);
    let text = error.to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with(&format!("{}:2:1: \"x\" is unknown", file.path())));
    assert!(lines[1].starts_with(&format!("{}:4:10: expiry is one of", file.path())));
    let error = run(&kernel, &["apply", "/no/such/file"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/no/such/file: No such file or directory"
    );
    assert!(kernel.changes().is_empty());
}

#[test]
fn a_saved_file_is_written_whole_or_not_at_all() {
    let kernel = Model::new(state());
    let file = File::new("old");
    assert_eq!(run(&kernel, &["save", &file.path()]).unwrap(), "");
    let text = fs::read_to_string(file.path()).unwrap();
    assert_eq!(text, run(&kernel, &["save"]).unwrap());
    assert_eq!(
        text,
        "\
# Written by `netflowctl save`, for `netflowctl apply`.

enabled = true

[settings]
max-flows = 65536
active-timeout = 1800
inactive-timeout = 15
expiry = \"lazy\"
observe = [\"prerouting\"]
icmp-ports = \"type-code\"
count-own = false
engine-type = 0
engine-id = 0
max-packet-size = 1500

[[collectors]]
address = \"192.0.2.1\"
port = 2055
protocol = \"v5\"

[[collectors]]
address = \"192.0.2.2\"
port = 9995
protocol = \"v5\"
source = \"198.51.100.1\"
device = \"mgmt\"

[interfaces]
eth0 = 7
eth1 = 8
"
    );
    let error = run(&kernel, &["save", "/no/such/folder/file"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/no/such/folder/file: No such file or directory"
    );
    // Nothing else is left in the folder.
    assert_eq!(fs::read_dir(&file.0).unwrap().count(), 1);
    // What is no file is not replaced by one.
    run(&kernel, &["save", "/dev/null"]).unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_name_that_no_file_can_have_is_not_saved() {
    let mut state = state();
    state.ifaces.insert(b"eth\xff\0".to_vec(), 1);
    let error = run(&Model::new(state), &["save"]).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot be saved: "),
        "{error}"
    );
}

/// Any state of a namespace.
fn states() -> impl Strategy<Value = State> {
    let config = (
        any::<bool>(),
        1u32..=8_388_608,
        1u32..=604_800,
        0u32..2,
        0u32..32,
        any::<[u8; 3]>(),
        576u32..=9000,
    );
    let collector = (
        vec(any::<u8>(), 4),
        prop::sample::select(vec![2055u16, 9995]),
        prop::option::of(vec(any::<u8>(), 4)),
        prop::option::of("[a-z][a-z0-9.]{0,13}"),
        0u32..3,
    );
    let ifaces = btree_map("[a-zA-Z0-9.\"'\\\\=_@-]{3,15}", 1u32.., 0..5);
    (config, vec(collector, 0..=16), ifaces).prop_map(|(config, collectors, ifaces)| {
        let u32 = |value: u32| value.to_ne_bytes().to_vec();
        let (enabled, flows, timeout, expiry, observe, [own, engine, id], size) = config;
        let string = |text: &str| [text.as_bytes(), b"\0"].concat();
        let more = |source: Option<Vec<u8>>, device: Option<String>, protocol: u32| {
            let protocol = Some((9, u32(protocol))).filter(|_| protocol != 0);
            let source = source.map(|source| (6, source));
            let device = device.map(|device| (7, string(&device)));
            source.into_iter().chain(device).chain(protocol).collect()
        };
        State {
            enabled,
            config: [
                (1, u32(flows)),
                (2, u32(timeout)),
                (3, u32(1)),
                (4, u32(expiry)),
                (5, u32(observe)),
                (6, u32(expiry)),
                (7, vec![own & 1]),
                (8, vec![engine]),
                (9, vec![id]),
                (10, u32(size)),
            ]
            .into(),
            collectors: collectors
                .into_iter()
                .map(|(address, port, source, device, protocol)| {
                    ((address, port), more(source, device, protocol))
                })
                .collect(),
            ifaces: ifaces.iter().map(|(name, &n)| (string(name), n)).collect(),
        }
    })
}

proptest! {
    /// From any state to any other, by the file that `save` writes of it.
    #[test]
    fn a_saved_state_comes_back(before in states(), wanted in states()) {
        let file = File::new(&run(&Model::new(wanted.clone()), &["save"]).unwrap());
        let kernel = Model::new(before);
        let check = run(&kernel, &["apply", "--check", &file.path()]).unwrap();
        prop_assert_eq!(run(&kernel, &["apply", &file.path()]).unwrap(), check);
        prop_assert_eq!(kernel.state(), wanted);
        prop_assert_eq!(run(&kernel, &["apply", &file.path()]).unwrap(), "");
    }

    /// Whichever change is refused.
    #[test]
    fn a_refusal_undoes_all(before in states(), wanted in states(), refused in 0usize..60) {
        let file = File::new(&run(&Model::new(wanted.clone()), &["save"]).unwrap());
        let kernel = Model::new(before.clone());
        kernel.refuse([refused]);
        match run(&kernel, &["apply", &file.path()]) {
            Ok(_) => prop_assert_eq!(kernel.state(), wanted),
            Err(_) => prop_assert_eq!(kernel.state(), before),
        }
    }
}
