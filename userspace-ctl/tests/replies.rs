// SPDX-License-Identifier: GPL-2.0-only

//! Replies of the kernel: how they are read, and what comes of bad ones.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use netflowctl::{
    client::Client,
    error::Error,
    messages::Flow, //
};
use support::*;

fn client(kernel: &Kernel) -> Client<Kernel> {
    Client::new(kernel.clone()).unwrap()
}

/// All flows that a kernel with these answers tells.
fn flows(answers: impl IntoIterator<Item = Vec<u8>>) -> Vec<Result<Flow, Error>> {
    let kernel = Kernel::with_family(answers);
    let flows = client(&kernel).flows().unwrap().collect();
    assert!(kernel.exhausted());
    flows
}

/// How the kernel's refusal of `enable` reads.
fn refused(answer: Vec<u8>) -> String {
    let kernel = Kernel::with_family([answer]);
    let config = config(&[("max-flows", 0)]);
    let error = client(&kernel).enable(&config).unwrap_err();
    error.to_string()
}

#[test]
fn an_unknown_family_is_a_module_that_is_not_loaded() {
    let result = Client::new(Kernel::new([error(1, 2, &[])]));
    assert!(matches!(result, Err(Error::ModuleNotLoaded)));
    let result = Client::new(Kernel::new([ack(1)]));
    assert!(matches!(result, Err(Error::ModuleNotLoaded)));
}

#[test]
fn another_failure_to_find_the_family_is_told() {
    let error = Client::new(Kernel::new([error(1, 12, &[])])).unwrap_err();
    assert_eq!(error.to_string(), "family: Cannot allocate memory");
    let error = Client::new(Kernel::new([])).unwrap_err();
    assert_eq!(error.to_string(), "netlink socket: would wait for ever");
}

#[test]
fn the_state_is_told() {
    let kernel = Kernel::with_family([info(FIRST)]);
    let state = client(&kernel).info().unwrap();
    assert_eq!(state.flow_sequence, 991);
    assert!(kernel.exhausted());
}

#[test]
fn no_state_is_an_error() {
    let kernel = Kernel::with_family([ack(FIRST)]);
    assert!(matches!(client(&kernel).info(), Err(Error::Malformed(_))));
}

#[test]
fn flows_come_in_parts() {
    let one = TCP_FLOW.message(FIRST);
    let all = flows([
        one.repeat(3),
        one.repeat(2),
        [one.clone(), done(FIRST)].concat(),
    ]);
    assert_eq!(all.len(), 6);
    let expected = Flow::decode(&TCP_FLOW.attributes()).unwrap();
    assert!(all.into_iter().all(|flow| flow.unwrap() == expected));
    assert!(flows([done(FIRST)]).is_empty());
    // Linux may end a dump without an error number.
    assert!(flows([nlmsg(NLMSG_DONE, NLM_F_MULTI, FIRST, &[])]).is_empty());
}

#[test]
fn what_was_not_asked_for_is_skipped() {
    let all = flows([
        nlmsg(NLMSG_NOOP, 0, FIRST, &[]),
        TCP_FLOW.message(FIRST - 1),
        done(FIRST - 1),
        [TCP_FLOW.message(FIRST), done(FIRST)].concat(),
    ]);
    assert_eq!(all.len(), 1);
}

#[test]
fn an_interrupted_dump_is_noticed() {
    let marked = reply(
        NLM_F_MULTI | NLM_F_DUMP_INTR,
        FIRST,
        2,
        &TCP_FLOW.attributes(),
    );
    for (answers, expected) in [
        (vec![TCP_FLOW.message(FIRST), done(FIRST)], true),
        (vec![marked, TCP_FLOW.message(FIRST), done(FIRST)], false),
        (
            vec![
                TCP_FLOW.message(FIRST),
                nlmsg(NLMSG_DONE, NLM_F_DUMP_INTR, FIRST, &[0; 4]),
            ],
            false,
        ),
    ] {
        let kernel = Kernel::with_family(answers);
        let mut client = client(&kernel);
        let mut dump = client.flows().unwrap();
        dump.by_ref().for_each(drop);
        assert_eq!(dump.check().is_ok(), expected);
    }
}

#[test]
fn a_dump_may_fail_at_once_or_at_its_end() {
    let all = flows([error(FIRST, 1, &[])]);
    assert_eq!(
        all[0].as_ref().unwrap_err().to_string(),
        "flows: Operation not permitted: CAP_NET_ADMIN is needed in this network namespace"
    );
    let payload = [&(-12i32).to_ne_bytes()[..], &text("no room")].concat();
    let end = nlmsg(NLMSG_DONE, NLM_F_MULTI | NLM_F_ACK_TLVS, FIRST, &payload);
    let all = flows([TCP_FLOW.message(FIRST), end]);
    assert_eq!(all.len(), 2);
    assert_eq!(
        all[1].as_ref().unwrap_err().to_string(),
        "flows: no room: Cannot allocate memory"
    );
}

#[test]
fn after_an_error_there_are_no_more_flows() {
    let bad = reply(NLM_F_MULTI, FIRST, 2, &nla(1, &[1]));
    let kernel = Kernel::with_family([bad, TCP_FLOW.message(FIRST), done(FIRST)]);
    let all: Vec<_> = client(&kernel).flows().unwrap().collect();
    assert_eq!(all.len(), 1);
    assert!(all[0].is_err());
}

#[test]
fn a_request_after_an_abandoned_one_gets_its_own_answer() {
    let abandoned = TCP_FLOW.message(FIRST).repeat(2);
    let kernel = Kernel::with_family([abandoned, done(FIRST), info(FIRST + 1)]);
    let mut client = client(&kernel);
    assert!(client.flows().unwrap().next().unwrap().is_ok());
    assert_eq!(client.info().unwrap().flow_sequence, 991);
}

#[test]
fn the_kernel_says_why_it_refuses() {
    assert_eq!(
        refused(error(FIRST, 114, &text("already enabled"))),
        "enable: already enabled: Operation already in progress"
    );
    assert_eq!(refused(error(FIRST, 22, &[])), "enable: Invalid argument");
}

#[test]
fn the_kernel_names_the_attribute_that_it_refuses() {
    let limits = [nla(4, &1u64.to_ne_bytes()), nla(5, &9u64.to_ne_bytes())];
    let acknowledgement = [
        text("integer out of range"),
        nla_u32(2, 24),
        nest(4, &limits),
    ]
    .concat();
    assert_eq!(
        refused(error(FIRST, 34, &acknowledgement)),
        "enable: max-flows: integer out of range (1 to 9): Numerical result out of range"
    );
}

#[test]
fn the_whole_request_may_be_echoed() {
    let request = [&[3, 1, 0, 0][..], &nest(2, &[nla_u32(1, 0)])].concat();
    let echo = nlmsg(FAMILY, 5, FIRST, &request);
    let mut payload = (-22i32).to_ne_bytes().to_vec();
    payload.extend(echo);
    payload.extend(text("no"));
    let answer = nlmsg(NLMSG_ERROR, NLM_F_ACK_TLVS, FIRST, &payload);
    assert_eq!(refused(answer), "enable: no: Invalid argument");
}

#[test]
fn what_is_no_message_is_an_error() {
    for datagram in [
        Vec::new(),
        vec![0; 8],
        vec![0; 16],
        reply(0, FIRST, 1, &[])[..19].to_vec(),
        nlmsg(FAMILY, 0, FIRST, &[1, 1]),
        nlmsg(4, 0, FIRST, &[]),
    ] {
        let kernel = Kernel::with_family([datagram]);
        assert!(matches!(client(&kernel).info(), Err(Error::Malformed(_))));
    }
}
