//! x
pub struct Fleet; pub struct FleetEnd; pub struct ReplicaEnd; pub struct Restart;