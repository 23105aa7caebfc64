// Asked by the probes. The first member also sets the replica set up, and the user if one is wanted.
const fs = require("fs");
const read = (name) => (fs.existsSync(name) ? fs.readFileSync(name, "utf8").trim() : "");

const host = process.env.HOSTNAME;
const size = Number(process.env.MEMBERS || 1);
const name = host.replace(/-\d+$/, "");
const members = [...Array(size).keys()].map((n) => ({ _id: n, host: `${name}-${n}.${name}:27017` }));

function initiate() {
  try {
    rs.initiate({ _id: "ticketing", members });
  } catch (error) {
    if (error.codeName !== "AlreadyInitialized") throw error;
  }
}

// Allowed without signing in as long as there is no user, and only from here.
function createUser(password) {
  const admin = db.getSiblingDB("admin");
  try {
    admin.auth("ticketing", password);
  } catch (error) {
    const roles = ["readWriteAnyDatabase", "clusterMonitor"];
    admin.createUser({ user: "ticketing", pwd: password, roles });
  }
}

if (!db.hello().setName && host.endsWith("-0")) initiate();
const hello = db.hello();
const password = read("/run/secrets/password");
if (hello.isWritablePrimary && password) createUser(password);
if (!hello.isWritablePrimary && !hello.secondary) quit(1);
