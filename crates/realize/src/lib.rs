//! Makes a ChuteDeployment real on a node cluster and reports what it sees.
