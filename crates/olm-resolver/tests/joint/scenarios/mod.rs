//! The scenarios that the specification lists, by their numbers.

mod explanations;
mod selection;
mod worlds;

use crate::world::World;

use worlds::{
    R18_RULE, r01, r02, r03, r05, r06, r07, r08, r09, r10, r11, r12, r13, r14, r15, r16, r17, r18,
    r19, r20, r25, r26, r27, r28, r29, r30, r31, r32, r33, r34,
};

/// All of them, and more in `updates`.
pub(crate) fn all() -> Vec<World> {
    let mut worlds = vec![
        r01(),
        r02(),
        r03(),
        r05(),
        r06(false),
        r06(true),
        r07(),
        r08(),
        r09(),
        r10(100, 0, false),
        r10(100, 100, false),
        r10(0, 0, true),
        r11(),
        r12(),
        r13(),
        r14(),
        r15(),
        r16(false),
        r16(true),
        r17(),
        r18(R18_RULE),
        r18("false"),
        r19(true),
        r19(false),
        r20(true),
        r20(false),
    ];
    worlds.extend([
        r25(""),
        r25("2.0.0"),
        r26(false),
        r26(true),
        r27(),
        r28(false),
        r28(true),
        r29("packageA"),
        r29("packageB"),
        r30(),
        r31(),
        r32(true),
        r33("", ""),
        r33("", "0.12.0"),
        r33("0.11.0", "0.12.0"),
        r34(""),
        r34(">=7.42.0"),
    ]);
    worlds
}
