// Stripe's card form on the payment page. What is typed goes to Stripe, which gives back the id of a
// payment method; our own form sends that, as the form of an installation for tests sends a token.
(() => {
  "use strict";

  const form = document.getElementById("card-form");
  if (!form) return;
  const button = form.querySelector("button[type=submit]");
  const problem = document.getElementById("card-problem");
  const label = [...button.childNodes];

  function show(text) {
    problem.textContent = text;
    problem.hidden = !text;
    setBusy(false);
  }

  function setBusy(busy) {
    button.disabled = busy;
    button.replaceChildren(...(busy ? [button.dataset.waiting] : label));
  }

  if (!window.Stripe) {
    problem.textContent = "Stripe's card form could not be loaded. Check the connection and load the page again.";
    problem.hidden = false;
    return;
  }

  const { stripeKey, amount, currency } = form.dataset;
  const stripe = window.Stripe(stripeKey);
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const elements = stripe.elements({
    mode: "payment",
    amount: Number(amount),
    currency,
    captureMethod: "manual",
    paymentMethodCreation: "manual",
    paymentMethodTypes: ["card"],
    appearance: { theme: dark ? "night" : "stripe" },
  });
  const element = elements.create("payment");
  element.on("ready", () => setBusy(false));
  element.on("loaderror", () => show("Stripe's card form could not be loaded. Load the page again."));
  element.mount("#card");

  form.addEventListener("submit", async (event) => {
    // Sent by the script below once Stripe has answered.
    event.preventDefault();
    event.stopPropagation();
    setBusy(true);
    const { error: incomplete } = await elements.submit();
    if (incomplete) return show(incomplete.message);
    const { error, paymentMethod } = await stripe.createPaymentMethod({ elements });
    if (error) return show(error.message);
    form.elements.paymentMethod.value = paymentMethod.id;
    form.submit();
  });

  // The page as it was left, when somebody comes back to it.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) setBusy(false);
  });
})();
