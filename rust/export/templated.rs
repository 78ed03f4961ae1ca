// SPDX-License-Identifier: GPL-2.0

//! What NetFlow v9 and IPFIX have in common: records whose layout templates tell.
//!
//! The two differ in headers, in what is counted there, and in how an Options Template says which
//! of its fields are the scope ([`Protocol`]).

#[cfg(test)]
pub(crate) mod tests;

use core::{
    marker::PhantomData,
    ops::DerefMut, //
};

use super::{
    field::{
        Layout,
        Template,
        Templates, //
    },
    format::{
        Announcement,
        Appended,
        ExportTime,
        Format, //
    },
    nat_event,
    options::Options,
    sets::Sets,
    writer::Writer,
};
use crate::flow::{
    entry::AnyFlow,
    expiry::Reason,
    nat::{
        AnyEndpoints,
        NatEvent,
        NatRecords, //
    },
};

/// What is counted in a header.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Template and Options Template Records.
    pub(crate) templates: u32,
    /// Data Records of flows and of events.
    pub(crate) flows: u32,
    /// Data Records of options.
    pub(crate) options: u32,
}

/// What a header says.
pub(crate) struct Header {
    /// Bytes of the message.
    pub(crate) len: usize,
    pub(crate) counts: Counts,
    pub(crate) time: ExportTime,
    pub(crate) sequence: u32,
    pub(crate) domain: u32,
}

/// How two formats with templates differ.
pub(crate) trait Protocol {
    /// Bytes of a header.
    const HEADER: usize;
    /// Of the records.
    const LAYOUT: Layout;
    /// Of flow records.
    const TEMPLATES: &'static Templates;
    /// What natEvent says when a session of IPv4 has begun, and when it has ended.
    const NAT44_SESSION: [u8; 2];
    /// Ids of the Sets of templates.
    const TEMPLATE_SET: u16;
    const OPTIONS_TEMPLATE_SET: u16;
    /// Type and length of the field that names the scope of options: the Observation Domain, or
    /// what comes next to it.
    const SCOPE: (u16, u16);

    /// The two numbers by which an Options Template says how much of it is the scope.
    fn options_counts(fields: u16) -> [u16; 2];

    /// Writes a header.
    fn write_header(header: &Header, to: &mut Writer<'_>);

    /// By how much a message moves the sequence number on.
    fn sequence_units(counts: Counts) -> u32;
}

/// A datagram under construction, in `B`, whose size is what it has at most.
pub(crate) struct Datagram<P, B> {
    sets: Sets<B>,
    counts: Counts,
    domain: u32,
    /// What of NAT there are templates for.
    nat_records: NatRecords,
    /// When the flows were taken over that are being appended.
    now: ExportTime,
    protocol: PhantomData<P>,
}

impl<P: Protocol, B: DerefMut<Target = [u8]>> Datagram<P, B> {
    /// An empty one.
    pub(crate) fn new(buffer: B) -> Self {
        Self {
            sets: Sets::new(buffer, P::HEADER),
            counts: Counts::default(),
            domain: 0,
            nat_records: NatRecords::default(),
            now: ExportTime::default(),
            protocol: PhantomData,
        }
    }

    /// Sets the Observation Domain ID, which v9 calls Source ID. Returns whether it was another.
    pub(crate) fn set_domain(&mut self, domain: u32) -> bool {
        core::mem::replace(&mut self.domain, domain) != domain
    }

    /// Sets what is told of NAT. Returns whether it was something else.
    pub(crate) fn set_nat(&mut self, nat: NatRecords) -> bool {
        core::mem::replace(&mut self.nat_records, nat) != nat
    }

    /// Appends templates of flow records.
    fn append_templates(&mut self, templates: [&Template; 2]) -> Option<()> {
        templates
            .into_iter()
            .try_for_each(|template| self.append_template(template.id, template.fields()))
    }

    /// Appends those that NAT is told with.
    fn append_nat_templates(&mut self) -> Option<()> {
        if self.nat_records.flows {
            self.append_templates(P::TEMPLATES.translated())?;
        }
        if self.nat_records.events {
            for (id, fields) in &nat_event::TEMPLATES {
                self.append_template(*id, fields.iter().copied())?;
            }
        }
        Some(())
    }

    /// Appends a template, in a Set of its own: not all collectors take several in one.
    fn append_template(
        &mut self,
        id: u16,
        fields: impl Iterator<Item = (u16, u16)> + Clone,
    ) -> Option<()> {
        let count = fields.clone().count();
        let len = 4usize.saturating_add(count.saturating_mul(4));
        self.sets.close();
        let mut to = self.sets.record(P::TEMPLATE_SET, len)?;
        to.number(id.into(), 2);
        to.number(u64::try_from(count).unwrap_or(0), 2);
        for (id, len) in fields {
            to.number(id.into(), 2);
            to.number(len.into(), 2);
        }
        self.counts.templates = self.counts.templates.saturating_add(1);
        Some(())
    }

    /// Appends the record of a flow, with NAT if it is known what its packets are like `after`
    /// that.
    #[inline(always)]
    fn append_flow(
        &mut self,
        flow: &AnyFlow,
        after: Option<&AnyEndpoints>,
        reason: Reason,
    ) -> Appended {
        let template = P::TEMPLATES.of(flow, after.is_some());
        let Some(mut to) = self.sets.record(template.id, template.len) else {
            return Appended::Full;
        };
        P::TEMPLATES.write(flow, after, reason, self.now, &mut to);
        self.counts.flows = self.counts.flows.saturating_add(1);
        Appended::Last
    }

    /// The same for the templates of options.
    fn append_options_templates(&mut self) -> Option<()> {
        for options in Options::KINDS {
            let mut fields = 0u16;
            options.fields(P::LAYOUT, |_| fields = fields.saturating_add(1));
            let len = usize::from(fields).saturating_mul(4).saturating_add(6 + 4);
            self.sets.close();
            let mut to = self.sets.record(P::OPTIONS_TEMPLATE_SET, len)?;
            let [first, second] = P::options_counts(fields);
            let (scope, scope_len) = P::SCOPE;
            for number in [options.id(), first, second, scope, scope_len] {
                to.number(number.into(), 2);
            }
            options.fields(P::LAYOUT, |field| {
                to.number(field.id.into(), 2);
                to.number(field.len.into(), 2);
            });
            self.counts.templates = self.counts.templates.saturating_add(1);
        }
        Some(())
    }

    fn append_options(&mut self, options: &Options<'_>) -> Option<()> {
        let (_, scope_len) = P::SCOPE;
        let mut len = usize::from(scope_len);
        options.fields(P::LAYOUT, |field| {
            len = len.saturating_add(field.len.into())
        });
        let mut to = self.sets.record(options.id(), len)?;
        to.number(self.domain.into(), scope_len);
        options.fields(P::LAYOUT, |field| field.write(&mut to));
        self.counts.options = self.counts.options.saturating_add(1);
        Some(())
    }
}

impl<P: Protocol, B: DerefMut<Target = [u8]>> Format for Datagram<P, B> {
    const ANNOUNCES: bool = true;

    fn set_limit(&mut self, bytes: usize) {
        self.sets.set_limit(bytes);
    }

    /// IPv4's records are the shortest.
    fn records_max(&self) -> usize {
        let shortest = P::TEMPLATES.shortest(self.nat_records.flows);
        self.sets.records_max(shortest).max(1)
    }

    fn begin(&mut self, now: ExportTime) {
        self.now = now;
    }

    #[inline]
    fn append(&mut self, flow: &AnyFlow, reason: Reason, _index: u64) -> Appended {
        self.append_flow(flow, None, reason)
    }

    fn append_translated(
        &mut self,
        flow: &AnyFlow,
        after: &AnyEndpoints,
        reason: Reason,
        _index: u64,
    ) -> Appended {
        self.append_flow(flow, Some(after), reason)
    }

    fn append_event(&mut self, event: &NatEvent) -> Appended {
        let (id, len) = nat_event::layout(event);
        let Some(mut to) = self.sets.record(id, len) else {
            return Appended::Full;
        };
        nat_event::write(event, P::NAT44_SESSION, self.now, &mut to);
        self.counts.flows = self.counts.flows.saturating_add(1);
        Appended::Last
    }

    fn announce(&mut self, what: Announcement<'_>) -> bool {
        match what {
            Announcement::Templates => self.append_templates(P::TEMPLATES.plain()),
            Announcement::NatTemplates => self.append_nat_templates(),
            Announcement::OptionsTemplates => self.append_options_templates(),
            Announcement::Options(options) => self.append_options(&options),
        }
        .is_some()
    }

    fn records(&self) -> u32 {
        self.counts.flows
    }

    fn is_empty(&self) -> bool {
        let Counts {
            templates,
            flows,
            options,
        } = self.counts;
        templates == 0 && flows == 0 && options == 0
    }

    fn sequence_units(&self) -> u32 {
        P::sequence_units(self.counts)
    }

    fn finish(&mut self, time: ExportTime, sequence: u32) -> &[u8] {
        let (counts, domain) = (self.counts, self.domain);
        self.sets.finish(|len, to| {
            let header = Header {
                len,
                counts,
                time,
                sequence,
                domain,
            };
            P::write_header(&header, to);
        })
    }

    fn clear(&mut self) {
        self.sets.clear();
        self.counts = Counts::default();
    }
}
