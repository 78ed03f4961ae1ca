// SPDX-License-Identifier: GPL-2.0-only

//! What commands print.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use netflowctl::error::Error;
use support::{
    run::{
        attempt,
        print, //
    },
    *, //
};

/// A flow of ICMP that has no route.
fn icmp() -> FlowBytes {
    FlowBytes {
        next_hop: [0; 4],
        interfaces: (1, 0),
        bytes: 84,
        packets: 1,
        // The last packet came after the state was asked for.
        times: (123_400, 123_500),
        ports: (0, 0x0301),
        tcp_flags: 0,
        proto: 1,
        tos: 0,
        ..TCP_FLOW
    }
}

/// A flow of a protocol without a name, over an interface that is gone.
fn other() -> FlowBytes {
    FlowBytes {
        interfaces: (4_000_000_000, 1),
        proto: 253,
        ports: (0, 0),
        tcp_flags: 0,
        ..TCP_FLOW
    }
}

fn dump(seq: u32) -> Vec<u8> {
    let flows = [
        TCP_FLOW.message(seq),
        icmp().message(seq),
        other().message(seq),
    ];
    [flows.concat(), done(seq)].concat()
}

#[test]
fn the_state_as_text() {
    assert_eq!(
        print("netflowctl info", state(FIRST)),
        "\
netflow enabled
  flows: 77 cached, 65536 at most, 5000000123 created
  uptime: 123.456 s, next record: 991

SETTING                     VALUE
max-flows                   65536
active-timeout              1800
inactive-timeout            15
expiry                      strict
observe                     prerouting,output
icmp-ports                  zero
count-own                   on
engine-type                 3
engine-id                   200
max-packet-size             1400
observation-domain-id       77000001
template-refresh            300
template-refresh-datagrams  1000

LEDGER          PACKETS       BYTES  IPV4 PACKETS  IPV4 BYTES  IPV6 PACKETS  IPV6 BYTES
seen                101  6000000001          1001     1000001          2001     2000001
ignored             102  6000000002          1002     1000002          2002     2000002
  truncated         107  6000000007          1007     1000007          2007     2000007
  malformed         108  6000000008          1008     1000008          2008     2000008
  own               109  6000000009          1009     1000009          2009     2000009
  not sampled       114  6000000014          1014     1000014          2014     2000014
cached              103  6000000003          1003     1000003          2003     2000003
pending             104  6000000004          1004     1000004          2004     2000004
exported            105  6000000005          1005     1000005          2005     2000005
lost                106  6000000006          1006     1000006          2006     2000006
  cache full        110  6000000010          1010     1000010          2010     2000010
  no collector      111  6000000011          1011     1000011          2011     2000011
  send failed       112  6000000012          1012     1000012          2012     2000012
  unsupported       113  6000000013          1013     1000013          2013     2000013

EXPIRED    FLOWS
inactive     301
active       302
finished     303
overflow     304
displaced    305
flushed      306

NAT                         COUNT
flows without a connection    401
events exported               402
events lost: no collector     403
events lost: unsupported      404
events lost: send failed      405
events lost: overrun          406
events malformed              407
no events can be told: Protocol not supported

COLLECTOR        PROTOCOL  SOURCE        DEVICE  DATAGRAMS  RECORDS  ERRORS  LAST ERROR
192.0.2.10:2055  ipfix     198.51.100.1  mgmt           41     1230       2  No such device

INTERFACE  INDEX  NUMBER
lo             1   70000
"
    );
}

#[test]
fn the_state_of_nothing() {
    let nothing = [reply(0, FIRST, 1, &[]), ack(FIRST)].concat();
    let text = print("netflowctl info", vec![nothing, done(FIRST + 1)]);
    assert!(text.starts_with("netflow disabled\n"));
    assert!(text.ends_with("\nno collectors\n"));
}

#[test]
fn flows_as_text() {
    let text = print(
        "netflowctl flows",
        vec![info(FIRST), ifaces(FIRST + 1), dump(FIRST + 2)],
    );
    // Interface 1 is the loopback everywhere; 3 may have any name, or none.
    let lines: Vec<_> = text.lines().collect();
    let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
    assert_eq!(
        words(0).join(" "),
        "PROTO SOURCE SPORT DESTINATION DPORT IN OUT NEXT HOP TOS FLAGS PACKETS BYTES DURATION IDLE"
    );
    let tcp = words(1);
    assert_eq!(
        tcp[..6],
        ["tcp", "10.0.0.1", "40312", "192.168.200.254", "443", "lo"]
    );
    assert_eq!(
        tcp[7..],
        [
            "10.9.9.9",
            "0x10",
            "...AP.SF",
            "12",
            "5000000000",
            "2.500",
            "20.956"
        ]
    );
    assert_eq!(
        words(2).join(" "),
        "icmp 10.0.0.1 0 192.168.200.254 3.1 lo - - 0x00 - 1 84 0.100 0.000"
    );
    assert_eq!(words(3)[0], "253");
    assert_eq!(words(3)[5], "if4000000000");
    // Columns line up: the last is at the right end of every line.
    assert!(lines
        .iter()
        .all(|line| line.chars().count() == lines[0].chars().count()));
}

#[test]
fn flows_as_numbers() {
    assert_eq!(
        print("netflowctl flows -n", vec![info(FIRST), dump(FIRST + 1)]),
        "\
PROTO  SOURCE    SPORT  DESTINATION      DPORT  IN          OUT  NEXT HOP   TOS  FLAGS  \
PACKETS       BYTES  DURATION    IDLE
6      10.0.0.1  40312  192.168.200.254    443  1           3    10.9.9.9  0x10  \
0x1b        12  5000000000     2.500  20.956
1      10.0.0.1      0  192.168.200.254    769  1           -    -         0x00  \
-            1          84     0.100   0.000
253    10.0.0.1      0  192.168.200.254      0  4000000000  1    10.9.9.9  0x10  \
-           12  5000000000     2.500  20.956
"
    );
}

#[test]
fn no_flows_as_text() {
    let text = print(
        "netflowctl flows",
        vec![info(FIRST), ifaces(FIRST + 1), done(FIRST + 2)],
    );
    assert_eq!(text.lines().count(), 1);
    assert!(text.starts_with("PROTO"));
}

#[test]
fn flows_as_json() {
    let text = print("netflowctl --json flows", vec![dump(FIRST)]);
    assert_eq!(text.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let fields: Vec<_> = value[0].as_object().unwrap().keys().cloned().collect();
    let mut expected = [
        "src_addr",
        "dst_addr",
        "next_hop",
        "input",
        "output",
        "packets",
        "bytes",
        "first",
        "last",
        "src_port",
        "dst_port",
        "tcp_flags",
        "proto",
        "tos",
        "src_mask",
        "dst_mask",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(value.as_array().unwrap().len(), 3);
    assert_eq!(value[1]["next_hop"], "0.0.0.0");
    assert_eq!(value[1]["dst_port"], 0x0301);
    assert_eq!(print("netflowctl --json flows", vec![done(FIRST)]), "[]\n");
}

#[test]
fn pretty_json_is_the_same_indented() {
    let compact = print("netflowctl --json flows", vec![dump(FIRST)]);
    let pretty = print("netflowctl -jp flows", vec![dump(FIRST)]);
    assert!(pretty.starts_with("[\n  {\n    \"src_addr\": \"10.0.0.1\",\n"));
    let parse = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(parse(&compact), parse(&pretty));
    let pretty = print("netflowctl --json info --pretty", state(FIRST));
    assert!(pretty.starts_with("{\n  \"enabled\": true,\n"));
}

#[test]
fn a_change_prints_no_text() {
    let enabled = vec![ack(FIRST), enabling(FIRST + 1, 0)];
    assert_eq!(print("netflowctl enable --max-flows 5", enabled), "");
    // The state says whether there is something to note on standard error.
    let added = vec![ack(FIRST), info(FIRST + 1)];
    assert_eq!(print("netflowctl collector add 192.0.2.1", added), "");
    let removed = vec![ack(FIRST)];
    assert_eq!(print("netflowctl collector del 192.0.2.1:9", removed), "");
}

/// The state with what there is to wait for.
fn waiting(seq: u32, disabling: u8, flushes_done: u64) -> Vec<u8> {
    let attributes = [
        nla_u8(11, disabling),
        nla_uint(12, 8),
        nla_uint(13, flushes_done),
    ];
    [reply(0, seq, 1, &attributes.concat()), ack(seq)].concat()
}

/// The state while memory is reserved (1), or after that (0).
fn enabling(seq: u32, enabling: u8) -> Vec<u8> {
    let attributes = [nla_u8(1, 1 - enabling), nla_u8(14, enabling)];
    [reply(0, seq, 1, &attributes.concat()), ack(seq)].concat()
}

#[test]
fn enable_returns_when_packets_are_accounted() {
    let answers = vec![
        ack(FIRST),
        enabling(FIRST + 1, 1),
        enabling(FIRST + 2, 1),
        enabling(FIRST + 3, 0),
    ];
    assert_eq!(print("netflowctl enable", answers), "");
}

#[test]
fn enable_that_fails_later_reads_as_if_refused_at_once() {
    let attributes = [
        nla_u8(1, 0),
        nla_u8(14, 0),
        nla_u32(15, 12),
        nla(16, b"not enough memory for the cache\0"),
    ];
    let seq = FIRST + 2;
    let failed = [reply(0, seq, 1, &attributes.concat()), ack(seq)].concat();
    let later = attempt(
        "netflowctl enable",
        vec![ack(FIRST), enabling(FIRST + 1, 1), failed],
    );
    let refusal = error(FIRST, 12, &text("not enough memory for the cache"));
    let at_once = attempt("netflowctl enable", vec![refusal]);
    let line = "enable: not enough memory for the cache: Cannot allocate memory";
    assert_eq!(later.result.unwrap_err().to_string(), line);
    assert_eq!(at_once.result.unwrap_err().to_string(), line);
    assert_eq!((later.text, at_once.text), (String::new(), String::new()));
}

#[test]
fn the_state_tells_that_memory_is_reserved_or_why_it_was_not() {
    let begin = |attributes: &[Vec<u8>]| {
        let info = [reply(0, FIRST, 1, &attributes.concat()), ack(FIRST)].concat();
        let text = print("netflowctl info", vec![info, ifaces(FIRST + 1)]);
        text.lines().take(2).collect::<Vec<_>>().join("\n")
    };
    let reserving = begin(&[nla_u8(1, 0), nla_u8(14, 1)]);
    assert!(reserving.starts_with("netflow disabled, until memory is reserved for the cache\n"));
    let failed = begin(&[nla_u8(1, 0), nla_u32(15, 12), nla(16, b"no room\0")]);
    assert_eq!(
        failed,
        "netflow disabled\n  could not be enabled: no room: Cannot allocate memory"
    );
}

#[test]
fn waiting_goes_on_when_the_state_finds_no_memory() {
    let answers = vec![
        ack(FIRST),
        error(FIRST + 1, 12, &[]),
        enabling(FIRST + 2, 0),
    ];
    assert_eq!(print("netflowctl enable", answers), "");
}

#[test]
fn disable_returns_when_all_is_exported() {
    let answers = vec![
        ack(FIRST),
        waiting(FIRST + 1, 1, 0),
        waiting(FIRST + 2, 1, 0),
        waiting(FIRST + 3, 0, 0),
    ];
    assert_eq!(print("netflowctl disable", answers), "");
}

#[test]
fn flush_returns_when_its_own_has_ended() {
    let answers = vec![
        flush_begun(FIRST, 7),
        waiting(FIRST + 1, 0, 5),
        waiting(FIRST + 2, 0, 6),
        waiting(FIRST + 3, 0, 7),
    ];
    assert_eq!(print("netflowctl flush", answers), "");
    let later = vec![flush_begun(FIRST, 7), waiting(FIRST + 1, 0, 8)];
    assert_eq!(print("netflowctl flush", later), "");
}

#[test]
fn waiting_ends_when_the_module_goes() {
    let answers = vec![
        ack(FIRST),
        waiting(FIRST + 1, 1, 0),
        error(FIRST + 2, 2, &[]),
    ];
    let run = attempt("netflowctl disable", answers);
    assert_eq!(
        run.result.unwrap_err().to_string(),
        "info: No such file or directory"
    );
}

#[test]
fn a_change_prints_the_new_state_as_json() {
    let done = [
        ("enable", vec![ack(FIRST), enabling(FIRST + 1, 0)]),
        ("disable", vec![ack(FIRST), waiting(FIRST + 1, 0, 0)]),
        (
            "flush",
            vec![flush_begun(FIRST, 1), waiting(FIRST + 1, 0, 1)],
        ),
    ];
    for (command, mut answers) in done {
        let next = FIRST + u32::try_from(answers.len()).unwrap();
        answers.extend(state(next));
        let text = print(&format!("netflowctl {command} --json"), answers);
        assert!(text.starts_with("{\"enabled\":true,"), "{command}");
    }
    for command in ["add 192.0.2.1", "del 192.0.2.1:2055"] {
        let command = format!("netflowctl --json collector {command}");
        let text = print(&command, vec![ack(FIRST), info(FIRST + 1)]);
        assert!(
            text.starts_with("[{\"address\":\"192.0.2.10\","),
            "{command}"
        );
    }
}

#[test]
fn without_a_port_the_only_collector_of_an_address_is_removed() {
    // The state has one at 192.0.2.10, and what else there might be is the kernel's matter.
    let answers = || vec![info(FIRST), ack(FIRST + 1)];
    for address in ["192.0.2.10", "192.0.2.1"] {
        let command = format!("netflowctl collector del {address}");
        assert_eq!(print(&command, answers()), "");
    }
}

#[test]
fn without_a_scope_the_only_collector_of_an_address_is_removed() {
    let mut address = [0; 16];
    (address[0], address[1], address[15]) = (0xfe, 0x80, 1);
    let on = |device: &[u8]| nest(8, &[nla(1, &address), nla_u16(2, 2055), nla(7, device)]);
    let one = [on(b"eth0\0")].concat();
    let two = [on(b"eth0\0"), on(b"eth1\0")].concat();
    for (collectors, has_device) in [(one, true), (two, false)] {
        let state = [reply(0, FIRST, 1, &collectors), ack(FIRST)].concat();
        let command = "netflowctl collector del [fe80::1]:2055";
        let run = attempt(command, vec![state, ack(FIRST + 1)]);
        run.result.unwrap();
        let device = nla(7, b"eth0\0");
        assert_eq!(run.requests[1].ends_with(&device), has_device);
    }
}

#[test]
fn collectors_are_listed() {
    assert_eq!(
        print("netflowctl collector list", vec![info(FIRST)]),
        "COLLECTOR        PROTOCOL  SOURCE        DEVICE  DATAGRAMS  RECORDS  ERRORS  LAST ERROR\n\
         192.0.2.10:2055  ipfix     198.51.100.1  mgmt           41     1230       2  No such device\n"
    );
    assert_eq!(
        print("netflowctl collector list --json", vec![info(FIRST)]),
        "[{\"address\":\"192.0.2.10\",\"port\":2055,\"protocol\":\"ipfix\",\"source\":\"198.51.100.1\",\
         \"device\":\"mgmt\",\"datagrams\":41,\"records\":1230,\"errors\":2,\
         \"unsupported\":6,\"sequence\":4000000001,\"last_error\":\"No such device\"}]\n"
    );
    let collector = nest(8, &[nla(1, &[192, 0, 2, 7]), nla_u16(2, 9)]);
    let bare = || vec![[reply(0, FIRST, 1, &collector), ack(FIRST)].concat()];
    assert_eq!(
        print("netflowctl collector list", bare()),
        "COLLECTOR    PROTOCOL  SOURCE  DEVICE  DATAGRAMS  RECORDS  ERRORS  LAST ERROR\n\
         192.0.2.7:9  v5        -       -               0        0       0  -\n"
    );
    assert_eq!(
        print("netflowctl collector list --json", bare()),
        "[{\"address\":\"192.0.2.7\",\"port\":9,\"protocol\":\"v5\",\"source\":null,\"device\":null,\
         \"datagrams\":0,\"records\":0,\"errors\":0,\"unsupported\":0,\"sequence\":0,\
         \"last_error\":null}]\n"
    );
}

#[test]
fn a_refusal_prints_nothing() {
    let refusal = || vec![error(FIRST, 1, &[])];
    for command in [
        "netflowctl --json flows",
        "netflowctl --json info",
        "netflowctl --json enable",
        "netflowctl --json collector add 192.0.2.1",
        "netflowctl flows",
    ] {
        let run = attempt(command, refusal());
        assert_eq!(run.text, "", "{command}");
        assert!(
            matches!(run.result, Err(Error::Refused { .. })),
            "{command}"
        );
    }
}

#[test]
fn a_dump_that_breaks_off_is_not_a_whole_array() {
    let answers = vec![TCP_FLOW.message(FIRST), error(FIRST, 12, &[])];
    let run = attempt("netflowctl --json flows", answers);
    assert!(run.text.starts_with("[{\"src_addr\"") && run.text.ends_with('}'));
    assert!(matches!(run.result, Err(Error::Refused { .. })));
}

#[test]
fn an_interrupted_dump_is_printed_but_fails() {
    let marked = reply(
        NLM_F_MULTI | NLM_F_DUMP_INTR,
        FIRST,
        2,
        &TCP_FLOW.attributes(),
    );
    let answers = vec![[marked, done(FIRST)].concat()];
    let run = attempt("netflowctl --json flows", answers);
    assert!(serde_json::from_str::<serde_json::Value>(&run.text).is_ok());
    assert!(matches!(run.result, Err(Error::Interrupted)));
}
