// SPDX-License-Identifier: GPL-2.0

//! Which packets are accounted when not all are: sampling (RFC 5475), before headers are read. Each
//! CPU selects among the packets that it sees, and shares nothing with others.

use kernel::prelude::*;
use pin_init::Zeroable;

use crate::{
    flow::sampling::{
        Countdown,
        Method, //
    },
    linux::{
        bh_lock::BhDisabled,
        percpu::PerCpu,
        random_below,
        rwonce::RwOnce, //
    },
};

/// Where one CPU is, written by it alone, with bottom halves disabled.
#[derive(Zeroable)]
#[repr(C)]
struct CpuSampler {
    /// See [`Countdown`].
    left: RwOnce<u32>,
    rest: RwOnce<u32>,
    /// The [`Method`] that these are of.
    method: RwOnce<u32>,
}

/// Selects packets.
pub(crate) struct Sampler {
    method: RwOnce<u32>,
    cpus: PerCpu<CpuSampler>,
}

impl Sampler {
    /// All packets are selected. Process context.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            method: RwOnce::new(Method::ALL.bits()),
            cpus: PerCpu::new()?,
        })
    }

    /// Sets the method. A CPU that sees another one than before begins anew.
    pub(crate) fn set_method(&self, method: Method) {
        self.method.write(method.bits());
    }

    /// Whether the next packet is selected.
    #[inline(always)]
    pub(crate) fn selects(&self, bh: BhDisabled<'_>) -> bool {
        let cpu = self.cpus.this(bh);
        let method = self.method.read();
        if cpu.method.read() != method {
            cpu.begin(method);
        }
        let left = cpu.left.read().wrapping_sub(1);
        cpu.left.write(left);
        if left == 0 {
            cpu.next(method);
        }
        left == 0
    }
}

impl CpuSampler {
    #[cold]
    fn begin(&self, method: u32) {
        self.method.write(method);
        self.rest.write(0);
        self.next(method);
    }

    #[inline(never)]
    fn next(&self, method: u32) {
        let method = Method::from_bits(method);
        let Countdown { left, rest } = Countdown::next(method, self.rest.read(), random_below);
        self.left.write(left);
        self.rest.write(rest);
    }
}
