//! What breaks in earnest: the process, the database server, the line between them, the disk, the clock. Each time: no
//! write that was acknowledged is lost, none is made twice when it is asked for again, and the log still rebuilds.

mod clock;
mod endless;
mod full;
mod hosts;
mod killed;
mod load;
mod restarted;
mod sealing;
mod silent;
mod standby;
mod syscalls;
mod unanswered;
